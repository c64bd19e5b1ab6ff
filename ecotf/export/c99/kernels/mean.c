/* Over the middle of [outer, n, inner]; the division is in the factor. */
static void mean(const int8_t *input, int outer, int n, int inner, int in_zero, int out_zero, int32_t multiplier,
                 int exponent, int8_t *output) {
  for (int a = 0; a < outer; a++) {
    for (int c = 0; c < inner; c++) {
      int32_t sum = -n * in_zero;
      for (int b = 0; b < n; b++) sum += input[(a * n + b) * inner + c];
      *output++ = limited(scaled(sum, multiplier, exponent) + out_zero, -128, 127);
    }
  }
}
