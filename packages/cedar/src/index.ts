export type { TemplateLink } from './ast/policy.ts';
export type { CedarAnswer } from './authorize/answer.ts';
export type { AuthorizeOptions, PolicyFacts, PolicySet } from './authorize/policy-set.ts';
export { CedarError, type CedarErrorCode } from './cedar-error.ts';
export type {
  CoverageReport,
  CoverageTotals,
  PointCoverage,
  PolicyCoverage,
} from './coverage/coverage-report.ts';
export { type Coverage, createCoverage } from './coverage/create-coverage.ts';
export { mergeCoverage } from './coverage/merge-coverage.ts';
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
export type { PolicyJson } from './est/cedar-json.ts';
export { type ExplainOptions, explain } from './explain/explain.ts';
export type {
  ClauseExplanation,
  Explanation,
  PolicyExplanation,
  Read,
  RuledOutPolicy,
} from './explain/explanation.ts';
export {
  RAISE_LIMITS,
  type RaisableAttribute,
  type RaiseChange,
  type RaiseFinding,
} from './explain/raise-finding.ts';
export { SEEN_LIMITS, type SeenValue } from './explain/seen-value.ts';
export type {
  SqlAncestors,
  SqlArrayColumn,
  SqlAttribute,
  SqlColumn,
  SqlElementRows,
  SqlMapping,
  SqlParent,
  SqlRecordColumns,
  SqlScalarType,
  SqlTable,
  SqlTags,
} from './filter/mapping.ts';
export type { FilterEntities } from './filter/scope.ts';
export type { SqlParameterValue } from './filter/sql.ts';
export {
  type PolicyRefusal,
  type SqlFilter,
  type SqlOptions,
  type SqlRefusal,
  toSql,
} from './filter/to-sql.ts';
export { CedarDataError, type CedarDataErrorCode } from './json/cedar-data-error.ts';
export { createJsonParser, type JsonParser } from './json/create-json-parser.ts';
export { parseCedarJson } from './json/parse-cedar-json.ts';
export { valueToJson } from './json/value-to-json.ts';
export { LIMITS } from './limits.ts';
export {
  type Completion,
  completeAnswer,
  completeResidual,
  type ResidualOutcome,
} from './partial/complete-residual.ts';
export { evaluatePartially, type PartialOptions } from './partial/evaluate-partially.ts';
export type { PartialAnswer, ResidualPolicy } from './partial/partial-answer.ts';
export type {
  PartialRequest,
  UnknownAttribute,
  UnknownEntity,
} from './partial/partial-request.ts';
export { residualToCedarJson } from './partial/residual-to-cedar-json.ts';
export { type ActionQuestion, queryActions } from './query/query-actions.ts';
export {
  type PrincipalQuestion,
  queryPrincipals,
  queryResources,
  type ResourceQuestion,
} from './query/query-entities.ts';
export { QUERY_LIMITS, type QueryOptions, type QueryPage } from './query/query-page.ts';
export type { Schema } from './schema/schema.ts';
export { parseUidText } from './text/parse-uid-text.ts';
export { CedarRecord, Layout } from './value/cedar-record.ts';
export { EntityUid, type UidCell } from './value/entity-uid.ts';
export { printUid } from './value/print-value.ts';
export type { Value } from './value/value.ts';
export { readLinks } from './vectors/read-vector-test.ts';
export {
  type RunVectorsOptions,
  runVectors,
  type VectorFiles,
  type VectorMismatch,
  type VectorReport,
} from './vectors/run-vectors.ts';
export type { VectorAnswer } from './vectors/vector-test.ts';
export type { ParseThread, StartParseThread } from './wasm/parse-thread.ts';
