import type { Samples } from '../sample.ts';

/**
 * What is given to an engine in advance, and what with each decision:
 * - `parsed`: everything is resident, the request too: what the decision itself costs
 * - `context`: entities are resident, the request comes as JSON values
 * - `objects`: the request and the entities it needs come as JSON values
 * - `text`: the same as JSON text
 */
export type Mode = 'parsed' | 'context' | 'objects' | 'text';

/** One engine that has loaded one workload. Questions are numbered through all its worlds. */
export interface Engine {
  readonly name: string;
  readonly modes: readonly Mode[];
  /** In the order of the questions. */
  answers(): Promise<readonly Answer[]>;
  measure(mode: Mode, seconds: number): Promise<Samples>;
  close(): Promise<void>;
}

/** Reasons and errors are there where the engine gives them: who knows only the decision leaves them out. */
export interface Answer {
  readonly decision: 'allow' | 'deny';
  /** Sorted. */
  readonly reasons?: readonly string[];
  /** How many. */
  readonly errors?: number;
}
