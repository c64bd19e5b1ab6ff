/* Reads patches (and measures) from vectors.bin, writes answers, margins and scores to answers.bin: float32, raw. */
#include <stdio.h>

#include "model.h"

static float patch[MODEL_PATCH];
#ifdef MODEL_MEASURES
static float measures[MODEL_MEASURES];
#endif

int main(void) {
  FILE *vectors = fopen("vectors.bin", "rb");
  FILE *written = fopen("answers.bin", "wb");
  float scores[MODEL_SCORES];
  if (!vectors || !written) return 2;
  while (fread(patch, sizeof patch, 1, vectors) == 1) {
#ifdef MODEL_MEASURES
    if (fread(measures, sizeof measures, 1, vectors) != 1) return 3;
    model_score(patch, measures, scores);
#else
    model_score(patch, scores);
#endif
    if (fwrite(model_answers(), sizeof(float), MODEL_ANSWERS, written) != MODEL_ANSWERS) return 4;
    if (MODEL_MARGINS && fwrite(model_margins(), sizeof(float), MODEL_MARGINS, written) != MODEL_MARGINS) return 4;
    if (fwrite(scores, sizeof(float), MODEL_SCORES, written) != MODEL_SCORES) return 4;
  }
  fclose(vectors);
  return fclose(written);
}
