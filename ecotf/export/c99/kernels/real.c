static void real(const int8_t *input, int n, float scale, int zero, float *output) {
  for (int i = 0; i < n; i++) output[i] = scale * (float)(input[i] - zero);
}
