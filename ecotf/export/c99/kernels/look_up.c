static void look_up(const int8_t *input, int n, const int8_t *table, int8_t *output) {
  for (int i = 0; i < n; i++) output[i] = table[input[i] + 128];
}
