export { BankError, type BankErrorCode } from './bank-error.ts';
export { type ApiAnswer, type ApiRequest, authorization, callApi } from './callers/call-api.ts';
export { AUDIENCES, type BankEnvironment } from './callers/environment.ts';
export { type EventStream, followEvents } from './callers/follow-events.ts';
export { makePayment, type PaymentAnswers } from './callers/make-payment.ts';
export {
  type AccessToken,
  obtainToken,
  type TokenAnswer,
  type TokenWish,
} from './callers/obtain-token.ts';
export { type Caller, openCaller } from './callers/open-caller.ts';
export { loadPartner, PARTNERS, type Partner, type PartnerName } from './callers/partner.ts';
export { runTraffic, type TrafficOptions, type TrafficSummary } from './callers/run-traffic.ts';
export {
  USUAL_CALLERS,
  USUAL_RATE_PER_SECOND,
  type UsualCaller,
  type UsualRequest,
  usualRequest,
} from './callers/usual.ts';
export { type AccountNumber, accountNumber, modulo97, SORT_CODES } from './data/account-number.ts';
export {
  ACCOUNT_COUNT,
  type Account,
  accountIdAt,
  type Bank,
  type BankSeed,
  CUSTOMER_COUNT,
  type Customer,
  generateBank,
  type Posting,
  type StandingOrder,
} from './data/generate-bank.ts';
export { ONBOARDED_CUSTOMERS, type OnboardedCustomer } from './data/onboarded-customers.ts';
export { OPENED_ACCOUNTS, openedTo } from './data/opened-accounts.ts';
export { type SeededRandom, seededRandom } from './data/seeded-random.ts';
export { HISTORY_ORIGIN, type WrittenHistory, writeHistory } from './history/write-history.ts';
export { type StartedProvider, startIdentityProvider } from './idp/start-identity-provider.ts';
export { type PreparedBank, prepareBank, REPOSITORY_SOURCE } from './prepare/prepare-bank.ts';
export { type AccountsOptions, openAccounts } from './services/accounts.ts';
export { JOURNAL_FILE, type JournalLine } from './services/core/ledger.ts';
export { openCore } from './services/core.ts';
export { HEADER_LOG_FILE, type HeaderLogEntry } from './services/header-log.ts';
export { type Journal, openJournal } from './services/journal.ts';
export { openPayments, type PaymentsOptions } from './services/payments.ts';
export type { Service } from './services/serve.ts';
export {
  NODE,
  SERVICES,
  type ServiceDescription,
  WORKLOAD_SOCKETS,
  type WorkloadSocket,
} from './services/services.ts';
export { openStatements, type StatementsOptions } from './services/statements.ts';
export { AMBIGUOUS_TARGETS } from './tour/ambiguous-paths.ts';
export { type PlayedScene, runTour, type TourOptions } from './tour/run-tour.ts';
export type { Scene, SceneResult, TourEnvironment } from './tour/scene.ts';
export { SCENES } from './tour/scenes.ts';
