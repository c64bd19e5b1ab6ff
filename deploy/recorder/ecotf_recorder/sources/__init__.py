"""Where sound comes from: a microphone, a folder, standard input, a file."""
