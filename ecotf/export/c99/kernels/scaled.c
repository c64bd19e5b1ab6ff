static int8_t limited(int32_t value, int low, int high) {
  return (int8_t)(value < low ? low : value > high ? high : value);
}

/* What TFLite does: times a 31-bit fraction and a power of two, rounded at both. */
static int32_t scaled(int32_t value, int32_t multiplier, int exponent) {
  const int down = exponent < 0 ? -exponent : 0;
  const int32_t mask = (int32_t)(((uint32_t)1 << down) - 1);
  const int64_t product = (int64_t)(exponent > 0 ? value * (1 << exponent) : value) * multiplier;
  const int32_t high = (int32_t)((product + ((int64_t)1 << 30)) >> 31);
  return (high >> down) + ((high & mask) > (mask >> 1) + (high < 0));
}
