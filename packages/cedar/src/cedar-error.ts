import type { CedarProblem } from './engine.ts';

/** The closed list of what can go wrong in this room. */
export type CedarErrorCode =
  /** A policy that does not parse, does not fit the schema, or is not exactly one static policy. */
  | 'ERR_CEDAR_POLICY_INVALID'
  | 'ERR_CEDAR_SCHEMA_INVALID'
  /** Nested too deeply, too long, or so made that parsing it crashed or did not end in time. */
  | 'ERR_CEDAR_TOO_DEEP'
  /** A request that is none, or that the schema does not admit. */
  | 'ERR_CEDAR_REQUEST_INVALID'
  /** An entity that is none, or that the schema does not admit. */
  | 'ERR_CEDAR_ENTITY_INVALID'
  /** Text that is no JSON, or JSON that Cedar has no value for. */
  | 'ERR_CEDAR_JSON_INVALID'
  /** Entities that contradict each other, or are in themselves by way of others. */
  | 'ERR_CEDAR_ENTITIES_INVALID'
  /** A change of an entity that is not there. */
  | 'ERR_CEDAR_ENTITY_UNKNOWN'
  /** More calls waiting, or more entities or names, than there is room for. */
  | 'ERR_CEDAR_OVERLOADED'
  | 'ERR_CEDAR_CLOSED'
  /** A filter's mapping from entities to tables that contradicts itself, the schema or the database. */
  | 'ERR_CEDAR_FILTER_MAPPING_INVALID'
  /** A query's cursor that belongs to another question, or to a store that is gone. */
  | 'ERR_CEDAR_CURSOR_INVALID'
  /** The worker could not be started at all. */
  | 'ERR_CEDAR_WORKER_FAILED';

/** Something of the caller's could not be taken; `code` is stable, the message is for people. */
export class CedarError extends Error {
  readonly code: CedarErrorCode;
  /** What was found wrong with policies and schema; empty when the fault is not theirs. */
  readonly problems: readonly CedarProblem[];

  constructor(
    code: CedarErrorCode,
    message: string,
    options?: ErrorOptions & { readonly problems?: readonly CedarProblem[] },
  ) {
    super(message, options);
    this.name = 'CedarError';
    this.code = code;
    this.problems = options?.problems ?? [];
  }
}
