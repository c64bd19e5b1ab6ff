static void pool_max(const sliding *s, const int8_t *input, int8_t *output) {
  const int channels = s->in_channels;
  int j0, j1, i0, i1;
  for (int y = 0; y < s->out_height; y++) {
    const int top = y * s->down - s->top;
    inside(top, 1, s->height, s->in_height, &j0, &j1);
    for (int x = 0; x < s->out_width; x++) {
      const int left = x * s->right - s->left;
      inside(left, 1, s->width, s->in_width, &i0, &i1);
      for (int channel = 0; channel < channels; channel++) {
        int most = -128;
        for (int j = j0; j < j1; j++) {
          const int8_t *value = input + ((top + j) * s->in_width + left + i0) * channels + channel;
          for (int i = i0; i < i1; i++, value += channels) most = *value > most ? *value : most;
        }
        *output++ = limited(most, s->low, s->high);
      }
    }
  }
}
