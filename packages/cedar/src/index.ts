export type { TemplateLink } from './ast/policy.ts';
export type { CedarAnswer } from './authorize/answer.ts';
export type { AuthorizeOptions, PolicyFacts, PolicySet } from './authorize/policy-set.ts';
export { CedarError, type CedarErrorCode } from './cedar-error.ts';
export { type CedarEngineOptions, createCedarEngine } from './create-cedar-engine.ts';
export type {
  CedarEngine,
  CedarEntity,
  CedarJson,
  CedarProblem,
  CedarRequest,
  CedarUid,
  EntitySource,
  LoadOptions,
  PolicySource,
  SchemaSource,
  SplitPolicy,
} from './engine.ts';
export { createEntityStore, type EntityStoreOptions } from './entity/create-entity-store.ts';
export { entitiesFrom } from './entity/entities-from.ts';
export type { EntityChange, EntityStore } from './entity/entity-store.ts';
export type { Entity, EntityView } from './entity/entity-view.ts';
export { layer } from './entity/layer.ts';
export { CedarRecord, Layout } from './value/cedar-record.ts';
export { EntityUid, type UidCell } from './value/entity-uid.ts';
export type { Value } from './value/value.ts';

export {
  type RunVectorsOptions,
  runVectors,
  type VectorFiles,
  type VectorMismatch,
  type VectorReport,
} from './vectors/run-vectors.ts';
export type { VectorAnswer } from './vectors/vector-test.ts';

export type { ParseThread, StartParseThread } from './wasm/parse-thread.ts';
