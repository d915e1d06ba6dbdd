/** How much signed content a point holds at a time. */
export interface ContentBudget {
  /** False when it would be more than there may be; then nothing is taken. */
  take(bytes: number): boolean;
  give(bytes: number): void;
}

/** A budget of which nothing is taken. */
export function createContentBudget(bytesMax: number): ContentBudget {
  let taken = 0;
  return {
    take(bytes) {
      if (taken + bytes > bytesMax) return false;
      taken += bytes;
      return true;
    },
    give(bytes) {
      taken -= bytes;
    },
  };
}
