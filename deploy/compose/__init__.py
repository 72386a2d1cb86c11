"""What compose needs beside the images: drawn secrets and the question whether a container is ready."""
