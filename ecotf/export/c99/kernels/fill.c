static void fill(int8_t *output, int n, int8_t value) {
  for (int i = 0; i < n; i++) output[i] = value;
}
