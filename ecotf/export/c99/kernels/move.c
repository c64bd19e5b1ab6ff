typedef struct {
  int size[4], from[4], to[4]; /* numbers to move, and the steps on both sides */
} block;

static void move(const block *k, const int8_t *input, int8_t *output) {
  for (int a = 0; a < k->size[0]; a++)
    for (int b = 0; b < k->size[1]; b++)
      for (int c = 0; c < k->size[2]; c++)
        for (int d = 0; d < k->size[3]; d++)
          output[a * k->to[0] + b * k->to[1] + c * k->to[2] + d * k->to[3]] =
              input[a * k->from[0] + b * k->from[1] + c * k->from[2] + d * k->from[3]];
}
