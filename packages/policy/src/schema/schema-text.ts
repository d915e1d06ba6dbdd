/** A stretch of schema text, and where it came from when a person wrote it. */
export interface SchemaPiece {
  readonly text: string;
  /** Offset in the hand-written text. */
  readonly origin?: number;
}

/** A schema put together from pieces, which remembers which of them people wrote. */
export interface ComposedSchema {
  readonly text: string;
  /** The offset in the hand-written text that an offset in `text` came from, if it did. */
  originOf(offset: number): number | undefined;
}

/** Joins pieces. */
export function composePieces(pieces: readonly SchemaPiece[]): ComposedSchema {
  const spans: { start: number; end: number; origin: number }[] = [];
  let text = '';
  for (const piece of pieces) {
    if (piece.origin !== undefined) {
      spans.push({
        start: text.length,
        end: text.length + piece.text.length,
        origin: piece.origin,
      });
    }
    text += piece.text;
  }
  return {
    text,
    originOf(offset) {
      const span = spans.find(({ start, end }) => offset >= start && offset <= end);
      return span && span.origin + offset - span.start;
    },
  };
}
