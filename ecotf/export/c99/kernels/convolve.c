static int32_t products(const int8_t *value, const int8_t *weight, int n, int zero) {
  int32_t sum = 0;
  for (; n >= 4; n -= 4, value += 4, weight += 4) {
    sum += (value[0] - zero) * weight[0];
    sum += (value[1] - zero) * weight[1];
    sum += (value[2] - zero) * weight[2];
    sum += (value[3] - zero) * weight[3];
  }
  for (; n > 0; n--) sum += (*value++ - zero) * *weight++;
  return sum;
}

static void convolve(const sliding *s, const int8_t *input, const int8_t *weights, const int32_t *bias,
                     const int32_t *multiplier, const int8_t *exponent, int8_t *output) {
  const int channels = s->in_channels, zero = s->in_zero, beside = s->spread_right == 1;
  int j0, j1, i0, i1;
  for (int y = 0; y < s->out_height; y++) {
    const int top = y * s->down - s->top;
    inside(top, s->spread_down, s->height, s->in_height, &j0, &j1);
    for (int x = 0; x < s->out_width; x++) {
      const int left = x * s->right - s->left;
      inside(left, s->spread_right, s->width, s->in_width, &i0, &i1);
      for (int channel = 0; channel < s->out_channels; channel++) {
        const int8_t *weight = weights + channel * s->height * s->width * channels;
        int32_t sum = bias[channel];
        for (int j = j0; j < j1; j++) {
          const int8_t *row = input + ((top + j * s->spread_down) * s->in_width + left) * channels;
          const int8_t *own = weight + j * s->width * channels;
          if (beside) /* the whole row of the kernel at once */
            sum += products(row + i0 * channels, own + i0 * channels, (i1 - i0) * channels, zero);
          else
            for (int i = i0; i < i1; i++)
              sum += products(row + i * s->spread_right * channels, own + i * channels, channels, zero);
        }
        const int place = channel * s->each;
        *output++ = limited(scaled(sum, multiplier[place], exponent[place]) + s->out_zero, s->low, s->high);
      }
    }
  }
}
