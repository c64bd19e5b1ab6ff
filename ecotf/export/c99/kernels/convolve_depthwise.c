static void convolve_depthwise(const sliding *s, const int8_t *input, const int8_t *weights, const int32_t *bias,
                               const int32_t *multiplier, const int8_t *exponent, int8_t *output) {
  const int copies = s->out_channels / s->in_channels, zero = s->in_zero, all = s->out_channels;
  const int step = s->spread_right * s->in_channels;
  int j0, j1, i0, i1;
  for (int y = 0; y < s->out_height; y++) {
    const int top = y * s->down - s->top;
    inside(top, s->spread_down, s->height, s->in_height, &j0, &j1);
    for (int x = 0; x < s->out_width; x++) {
      const int left = x * s->right - s->left;
      inside(left, s->spread_right, s->width, s->in_width, &i0, &i1);
      for (int channel = 0; channel < all; channel++) {
        int32_t sum = bias[channel];
        for (int j = j0; j < j1; j++) {
          const int row = (top + j * s->spread_down) * s->in_width + left;
          const int8_t *value = input + row * s->in_channels + i0 * step + channel / copies;
          const int8_t *weight = weights + (j * s->width + i0) * all + channel;
          for (int i = i0; i < i1; i++, value += step, weight += all) sum += (*value - zero) * *weight;
        }
        const int place = channel * s->each;
        *output++ = limited(scaled(sum, multiplier[place], exponent[place]) + s->out_zero, s->low, s->high);
      }
    }
  }
}
