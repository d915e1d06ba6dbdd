import { workloadFromEnvironment } from '@countersign/sdk';
import type { Dispatcher } from 'undici';
import { BankError } from '../bank-error.ts';
import type { Service } from './serve.ts';

/** A service's own identity, and the way to the one peer that it calls. */
export interface ServiceIdentity {
  readonly spiffeId: string;
  /** Reaches the peer over mTLS, and nobody who has another SPIFFE ID. */
  readonly dispatcher: Dispatcher;
  /** The service with this identity's name and end. */
  closingWith(service: Service): Service;
}

/**
 * Becomes the workload that the environment names, before anything listens.
 *
 * @throws {BankError} `ERR_BANK_IDENTITY` when there is no identity: the service must not start
 */
export async function connectAsWorkload(
  peerOrigin: string,
  peerSpiffeId: string,
): Promise<ServiceIdentity> {
  let workload: Awaited<ReturnType<typeof workloadFromEnvironment>>;
  try {
    workload = await workloadFromEnvironment();
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : 'unknown';
    throw new BankError('ERR_BANK_IDENTITY', `could not get an identity: ${found}`, { cause });
  }
  const { spiffeId } = workload;
  return {
    spiffeId,
    dispatcher: workload.dispatcherFor(peerOrigin, peerSpiffeId),
    closingWith: (service) => ({
      spiffeId,
      listen: (path) => service.listen(path),
      close: async () => {
        await service.close();
        await workload.close();
      },
    }),
  };
}
