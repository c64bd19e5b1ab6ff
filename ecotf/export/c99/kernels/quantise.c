static void quantise(const float *input, int n, float scale, int zero, int8_t *output) {
  for (int i = 0; i < n; i++) {
    const float value = roundf(input[i] / scale);
    output[i] = value > 1000.0f ? 127 : value < -1000.0f ? -128 : limited((int32_t)value + zero, -128, 127);
  }
}
