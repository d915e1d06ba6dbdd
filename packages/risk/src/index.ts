export { bulkReading } from './bulk-reading/bulk-reading.ts';
export { createRiskEngine, type RiskEngineOptions } from './create-risk-engine.ts';
export type { FeatureProfile, RiskFeature } from './feature.ts';
export type { Observation } from './observation.ts';
export {
  createResponder,
  type Responder,
  type ResponderActions,
  type ResponderOptions,
  type Response,
  type ResponseStep,
  type RiskFact,
} from './responder.ts';
export type { EventDraft } from './response-record.ts';
export type {
  Contribution,
  EvidenceFamily,
  RiskEngine,
  RiskHealth,
  RiskScore,
} from './risk-engine.ts';
export { RiskError, type RiskErrorCode } from './risk-error.ts';
export { type PlaybookStep, runPlaybooks } from './run-playbooks.ts';
export { scoreFromNats } from './score.ts';
