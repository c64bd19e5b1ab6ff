typedef struct {
  int in_height, in_width, in_channels, out_height, out_width, out_channels;
  int height, width;             /* of the kernel */
  int down, right;               /* from one place of it to the next */
  int spread_down, spread_right; /* dilation */
  int top, left;                 /* padding */
  int in_zero, out_zero, low, high;
  int each;                      /* 1: a multiplier for each channel, 0: one for all */
} sliding;

/* Which of the n places of a kernel, from first to before last, lie inside of a side of this size. */
static void inside(int start, int step, int n, int size, int *first, int *last) {
  *first = start < 0 ? (step - 1 - start) / step : 0;
  *last = n;
  while (*last > *first && start + (*last - 1) * step >= size) --*last;
}
