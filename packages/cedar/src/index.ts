export { CedarError, type CedarErrorCode } from './cedar-error.ts';
export { type CedarEngineOptions, createCedarEngine } from './create-cedar-engine.ts';
export type {
  CedarAnswer,
  CedarEngine,
  CedarEntity,
  CedarJson,
  CedarProblem,
  CedarRequest,
  CedarUid,
  EntitySource,
  PolicyFacts,
  PolicySet,
  PolicySource,
} from './engine.ts';
export { createEntityStore, type EntityStoreOptions } from './entity/create-entity-store.ts';
export { entitiesFrom } from './entity/entities-from.ts';
export type { EntityChange, EntityStore } from './entity/entity-store.ts';
export type { Entity, EntityView } from './entity/entity-view.ts';
export { layer } from './entity/layer.ts';
export { CedarRecord, Layout } from './value/cedar-record.ts';
export { EntityUid, type UidCell } from './value/entity-uid.ts';
export type { Value } from './value/value.ts';
