/* A patch, and what must come out of it: run this first on a new board, then put your own spectrogram in its place.
 *
 *   cc -std=c99 -O2 main_example.c model.c -lm -o example && ./example
 */
#include <math.h>
#include <stdio.h>

#include "model.h"

@ARRAYS@

int main(void) {
  float scores[MODEL_SCORES];
  int wrong = 0;
  model_score(patch@MEASURES@, scores);
  for (int i = 0; i < MODEL_SCORES; i++) {
    const float score = i ? scores[i] : 1.0f - scores[0];
    const int differs = !(fabsf(scores[i] - expected[i]) < 1e-5f);
    wrong += differs;
    printf("%-32s %.6f %s%s\n", i ? model_labels[i] : "call", (double)score,
           score >= model_thresholds[i] ? "above its threshold" : "", differs ? " DIFFERS" : "");
  }
  puts(wrong ? "this board does not compute what it should" : "as expected");
  return wrong != 0;
}
