"""Sources of sound: a microphone, a folder, standard input, a file."""
