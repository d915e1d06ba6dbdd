/** Milliseconds since the Unix epoch. Every room takes its time from such a function. */
export type Clock = () => number;

/** Cryptographically strong random bytes, `count` of them. */
export type RandomBytes = (count: number) => Uint8Array;

/** The clock of this machine. */
export const systemClock: Clock = () => Date.now();
