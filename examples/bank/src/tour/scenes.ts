import { ambiguousPaths } from './ambiguous-paths.ts';
import { bulkReader } from './bulk-reader.ts';
import { customerPays } from './customer-pays.ts';
import { forgedHeaders } from './forged-headers.ts';
import { undeclaredHop, unregisteredService, wrapWithoutIdentity } from './inside-callers.ts';
import { leaverIsCut } from './leaver-is-cut.ts';
import { expiredToken, wrongAudience } from './misused-token.ts';
import { ownWorkload } from './own-workload.ts';
import { partnerPays, partnerPaysFromAnother, partnerPaysUnsigned } from './partner-pays.ts';
import { dpopPartnerReads, partnerReads, partnerReadsAnother } from './partner-reads.ts';
import type { Scene } from './scene.ts';
import { enforceStops, shadowReports } from './shadow-and-enforce.ts';
import { staffProvider } from './staff-provider.ts';
import { stolenToken, stolenTokenNoCertificate } from './stolen-token.ts';

/** Every scene of the tour, in the order in which it is told. */
export const SCENES: readonly Scene[] = [
  partnerReads,
  partnerReadsAnother,
  dpopPartnerReads,
  partnerPays,
  partnerPaysFromAnother,
  partnerPaysUnsigned,
  customerPays,
  stolenToken,
  stolenTokenNoCertificate,
  wrongAudience,
  expiredToken,
  forgedHeaders,
  ambiguousPaths,
  unregisteredService,
  wrapWithoutIdentity,
  undeclaredHop,
  ownWorkload,
  bulkReader,
  staffProvider,
  leaverIsCut,
  shadowReports,
  enforceStops,
];
