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
