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
export type { ParseThread, StartParseThread } from './wasm/parse-thread.ts';
