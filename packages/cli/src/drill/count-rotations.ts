import type { X509Source } from '@countersign/spiffe';

/** How often sources have brought another SVID than the one before. */
export interface RotationCount {
  readonly count: number;
}

/** Counts from now on; a push with the same SVID is none. */
export function countRotations(sources: readonly X509Source[]): RotationCount {
  let count = 0;
  for (const source of sources) {
    let shown = leafOf(source);
    source.onChange(() => {
      const leaf = leafOf(source);
      if (leaf !== undefined && leaf !== shown) count += 1;
      shown = leaf;
    });
  }
  return {
    get count() {
      return count;
    },
  };
}

function leafOf(source: X509Source): string | undefined {
  try {
    const [leaf] = source.identity().chain;
    return leaf && Buffer.from(leaf).toString('base64');
  } catch {
    return undefined;
  }
}
