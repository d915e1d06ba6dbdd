/** A file that was read, under the name by which the command line knows it. */
export interface TextFile {
  readonly name: string;
  readonly text: string;
}
