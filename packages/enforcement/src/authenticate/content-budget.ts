/** How much signed content a point holds at a time. */
export interface ContentBudget {
  /**
   * @param key whose signature the content came with, by its thumbprint
   * @returns false when it would be more than there may be, of this key or of all; then nothing is taken
   */
  take(key: string, bytes: number): boolean;
  give(key: string, bytes: number): void;
}

/** A budget of which nothing is taken. One key has a share only, so that one client cannot take it from all. */
export function createContentBudget({
  bytesMax,
  bytesOfOneKeyMax,
}: {
  readonly bytesMax: number;
  readonly bytesOfOneKeyMax: number;
}): ContentBudget {
  let taken = 0;
  // Only keys that hold something: never more than there are requests.
  const ofKey = new Map<string, number>();
  return {
    take(key, bytes) {
      const share = (ofKey.get(key) ?? 0) + bytes;
      if (taken + bytes > bytesMax || share > bytesOfOneKeyMax) return false;
      taken += bytes;
      if (share > 0) ofKey.set(key, share);
      return true;
    },
    give(key, bytes) {
      taken -= bytes;
      const share = (ofKey.get(key) ?? 0) - bytes;
      if (share > 0) ofKey.set(key, share);
      else ofKey.delete(key);
    },
  };
}
