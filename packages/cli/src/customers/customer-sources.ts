import type { Identity } from '@countersign/identity';
import type { FastifyRequest } from 'fastify';
import type { ControlPeer } from '../authority/control-peer.ts';
import type { Recorder } from '../authority/record/own-record.ts';
import { throttleRepeats } from '../point/throttle-repeats.ts';

/** Whoever is refused must not fill the record: one event a minute tells of all of them. */
const REFUSALS_EVERY_MS = 60_000;

/**
 * Who may write customers over the control listener: a workload that the configuration names, with an SVID that is good now.
 *
 * @param options `sources` gives the SPIFFE IDs of the configuration as last applied
 */
export function customerSources(options: {
  readonly peer: (request: FastifyRequest) => ControlPeer | undefined;
  readonly identity: Pick<Identity, 'subject' | 'isRevoked'>;
  readonly sources: () => readonly string[];
  readonly record: Recorder;
  readonly now: () => number;
  readonly warn: (text: string) => void;
}): (request: FastifyRequest) => Promise<string | undefined> {
  const { peer, identity, sources, record, now, warn } = options;
  const tellRefusal = throttleRepeats<'customer-source'>({
    everyMs: REFUSALS_EVERY_MS,
    now,
    tell(reason, detail, count) {
      const more = count > 1 ? `, and ${count - 1} more` : '';
      record({
        ...{ kind: 'authentication', result: 'refused', reason, listener: 'control' },
        detail: `${detail}${more}`.slice(0, 1000),
      }).catch((error: Error) => warn(`a refusal was not recorded: ${error.message}`));
    },
  });
  return async (request) => {
    const caller = peer(request);
    const fault = caller === undefined ? 'no SVID that is good now' : faultOf(caller);
    if (fault === undefined) return caller?.spiffeId;
    tellRefusal('customer-source', `${caller?.spiffeId ?? 'somebody'}: ${fault}`);
    return undefined;
  };

  function faultOf({ spiffeId, names }: ControlPeer): string | undefined {
    if (identity.isRevoked('certificate', names)) return 'its certificate is revoked';
    if (identity.isRevoked('subject', spiffeId)) return 'it is revoked';
    if (identity.subject(spiffeId)?.enabled !== true) return 'it is not registered, or disabled';
    return sources().includes(spiffeId) ? undefined : 'it is no source of customers';
  }
}
