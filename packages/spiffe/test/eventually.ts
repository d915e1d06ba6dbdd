import { expect } from 'vitest';

/** What must become true, and how long a busy machine may take for it; one that is idle takes milliseconds. */
export function eventually(read: () => unknown): ReturnType<typeof expect.poll> {
  return expect.poll(read, { timeout: 10_000 });
}
