export {
  type AccessToken,
  type AccessTokens,
  type AccessTokensOptions,
  accessTokens,
  type TokenWish,
} from './access-tokens.ts';
export { isCredentialKey } from './assertion/cose-key.ts';
export {
  ASSERTION_FIELD,
  formatTransactionAssertion,
  parseTransactionAssertion,
  type TransactionAssertion,
} from './assertion/transaction-assertion.ts';
export {
  formatTransactionStatement,
  parseTransactionStatement,
  type TransactionStatement,
  transactionChallenge,
} from './assertion/transaction-statement.ts';
export {
  type RegisteredCredential,
  type UnfitAssertion,
  type VerifiedAssertion,
  verifyAssertion,
} from './assertion/verify-assertion.ts';
export type { Attestation } from './attestation.ts';
export { connectWorkload } from './connect-workload.ts';
export { SdkError, type SdkErrorCode } from './sdk-error.ts';
export { acceptSignature } from './signature/accept-signature.ts';
export type { StructuredType } from './signature/component-value.ts';
export {
  checkDigests,
  contentDigest,
  contentDigests,
  type DigestCheck,
  type ExpectedDigests,
} from './signature/content-digest.ts';
export type { CoveredComponent } from './signature/covered-component.ts';
export type { HttpMessage, RequestMessage, ResponseMessage } from './signature/http-message.ts';
export { keyThumbprint, publicJwk } from './signature/key-thumbprint.ts';
export { type ReceivedSignature, receivedSignatures } from './signature/received-signature.ts';
export { type MessageSignature, signMessage } from './signature/sign-message.ts';
export {
  type RequestToSign,
  type SignRequestOptions,
  signRequest,
} from './signature/sign-request.ts';
export {
  algorithmOfKey,
  isSignatureOf,
  type SignatureAlgorithm,
} from './signature/signature-algorithm.ts';
export { signatureBase } from './signature/signature-base.ts';
export type { SignatureParameters } from './signature/signature-parameters.ts';
export {
  REQUEST_SIGNATURE_AGE_MS,
  REQUEST_SIGNATURE_TAGS,
  readSignedRequest,
  type SignedRequest,
  type UnfitSignature,
} from './signature/signed-request.ts';
export type { CarriedToken } from './signature/token-digest.ts';
export { type SourceWorkloadOptions, workloadFromApi } from './source-workload.ts';
export { type SvidRequestExtra, svidRequest } from './svid-request.ts';
export { type HeaderFields, transactionOf, withTransaction } from './transaction.ts';
export type { WebServer } from './web-server.ts';
export type { Workload, WorkloadOptions } from './workload.ts';
export {
  attestationFromEnvironment,
  workloadFromEnvironment,
} from './workload-from-environment.ts';
