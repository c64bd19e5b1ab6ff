/* Margins as shares of one; of a single margin, no and yes. */
static void share(const float *margins, int n, float *shares) {
  if (n == 1) {
    shares[1] = sigmoid(margins[0]);
    shares[0] = 1.0f - shares[1];
    return;
  }
  float most = margins[0], sum = 0.0f;
  for (int i = 1; i < n; i++) most = margins[i] > most ? margins[i] : most;
  for (int i = 0; i < n; i++) sum += shares[i] = expf(margins[i] - most);
  for (int i = 0; i < n; i++) shares[i] /= sum;
}
