static void multiply(const paired *p, const int8_t *first, const int8_t *second, int8_t *output) {
  for (int a = 0; a < p->size[0]; a++)
    for (int b = 0; b < p->size[1]; b++)
      for (int c = 0; c < p->size[2]; c++)
        for (int d = 0; d < p->size[3]; d++) {
          const int one = first[a * p->first[0] + b * p->first[1] + c * p->first[2] + d * p->first[3]];
          const int two = second[a * p->second[0] + b * p->second[1] + c * p->second[2] + d * p->second[3]];
          const int32_t product = (one - p->first_zero) * (two - p->second_zero);
          *output++ = limited(scaled(product, p->multiplier[2], p->exponent[2]) + p->out_zero, p->low, p->high);
        }
}
