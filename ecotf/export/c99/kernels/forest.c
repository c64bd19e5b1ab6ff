typedef struct {
  const uint16_t *feature;    /* what a node looks at; at a leaf, `leaf` */
  const float *value;         /* goes to the right at this and above; at a leaf, the answer */
  const node_number *left;    /* the right child is the next one */
  const node_number *root;    /* [rounds][outputs] */
  const float *base;          /* [outputs] */
  int rounds, outputs, leaf;
} forest;

/* XGBoost's own order: the base first, then round by round, in float. */
static void grow(const forest *f, const float *seen, float *margins) {
  const node_number *root = f->root;
  for (int output = 0; output < f->outputs; output++) margins[output] = f->base[output];
  for (int round = 0; round < f->rounds; round++) {
    for (int output = 0; output < f->outputs; output++) {
      uint32_t node = *root++;
      while (f->feature[node] != f->leaf) node = f->left[node] + (uint32_t)(seen[f->feature[node]] >= f->value[node]);
      margins[output] += f->value[node];
    }
  }
}

static float sigmoid(float margin) {
  return 1.0f / (1.0f + expf(-margin));
}
