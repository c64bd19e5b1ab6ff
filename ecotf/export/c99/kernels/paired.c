typedef struct {
  int size[4], first[4], second[4]; /* of the output; steps of the inputs, 0 where one is repeated */
  int first_zero, second_zero, out_zero, low, high;
  int32_t multiplier[3]; /* of the first, the second (not for products), and the output */
  int exponent[3];
} paired;
