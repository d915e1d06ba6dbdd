export { connectWorkload } from './connect-workload.ts';
export { SdkError, type SdkErrorCode } from './sdk-error.ts';
export type { SvidRequestExtra } from './svid-request.ts';
export { type HeaderFields, transactionOf, withTransaction } from './transaction.ts';
export type { Workload, WorkloadOptions } from './workload.ts';
export { workloadFromEnvironment } from './workload-from-environment.ts';
