export { createDecisionPoint, type LocalDecisionPoint } from './create-decision-point.ts';
export { decideAgain } from './decide-again.ts';
export { DecisionError, type DecisionErrorCode } from './decision-error.ts';
export type { DecisionPoint, FactView } from './decision-point.ts';
export { createFactStore, type FactStore } from './fact-store.ts';
export { openReplica } from './open-replica.ts';
export type { RefusalCode, Replica, ReplicaChange, ReplicaOptions } from './replica.ts';
