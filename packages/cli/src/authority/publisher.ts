import {
  type Federation,
  type Identity,
  type Keyring,
  REGISTERED_MAX,
} from '@countersign/identity';
import type { Clock, Playbook } from '@countersign/model';
import type { BankConfig, Problem, RegisteredIdentity, Repository } from '@countersign/policy';
import type { BundleStore } from '@countersign/state';
import { needsRestart } from './needs-restart.ts';
import type { Applied } from './operator-routes.ts';
import { applyStep } from './partly-applied.ts';
import { pointRegistrations } from './point-registrations.ts';
import { type Publication, publishBundle } from './publish-bundle.ts';
import type { Recorder } from './record/own-record.ts';
import type { CheckWith } from './registered-identities.ts';

/** Puts what a bank wrote into force. */
export interface Publisher {
  /** Registrations first, so that no bundle talks of subjects that nobody knows. */
  publish(repository: Repository, by: string): Promise<Publication>;
  /**
   * Checks the repository anew and publishes it; with errors, tells them and changes nothing. `started` is
   * the configuration that the running processes were started with; `again` publishes what is in force already, too.
   *
   * @throws {PartlyApplied} when a step fails, such as of a state that cannot be written; recorded as an alarm where that can be
   */
  apply(
    by: string,
    options: { readonly started: BankConfig; readonly again: boolean },
  ): Promise<Applied | readonly Problem[]>;
  /**
   * Puts identities that stand in no file in force, or others in place of those that did, or takes them away; nothing
   * else of the repository, whatever was written there meanwhile. With errors, tells them and changes nothing.
   *
   * @throws {IdentityError} `ERR_IDENTITY_REGISTRATION` when they contradict what is in force, which is not what is written
   */
  register(
    change: {
      readonly puts: readonly RegisteredIdentity[];
      /** Their ids: `workload/payments/api`. */
      readonly removes: readonly string[];
    },
    by: string,
  ): Promise<RegistrationsChanged | readonly Problem[]>;
}

/** What a change of registered identities came to. */
export interface RegistrationsChanged {
  /** The fact sequence after it. */
  readonly sequence: number;
}

/** What publishing needs. */
export interface PublisherOptions {
  readonly check: CheckWith;
  /** What is in force. */
  readonly current: () => Repository;
  /** Told when registrations are in force, and before policies are. */
  readonly take: (repository: Repository) => Promise<void>;
  /** What of it cannot be used on this host, although it is written well. */
  readonly faultsHere: (repository: Repository) => Promise<readonly Problem[]>;
  readonly identity: Identity;
  readonly federation: Federation;
  readonly bundles: BundleStore;
  readonly keyring: Keyring;
  readonly record: Recorder;
  readonly setPlaybooks: (playbooks: readonly Playbook[]) => void;
  readonly now: Clock;
}

/** Makes a publisher; one change at a time. */
export function createPublisher(options: PublisherOptions): Publisher {
  const { check, identity, federation, bundles, keyring, record, now } = options;
  const publish = async (
    repository: Repository,
    by: string,
    again = false,
  ): Promise<Publication> => {
    await applyStep('enforcement points', () =>
      identity.registerPoints(pointRegistrations(repository)),
    );
    // Those who are gone go before anybody else comes.
    await applyStep('federation', () => federation.apply(repository.federation, { by }));
    await applyStep('identities', async () => {
      await identity.applyRegistrations(repository.registrations, repository.entities, { by });
      await options.take(repository);
    });
    const signer = keyring.policy;
    const publication = await applyStep('policies', () =>
      publishBundle(repository, { bundles, signer, now, again }),
    );
    options.setPlaybooks(repository.playbooks);
    if (publication.published) {
      const { sequence, version: target } = publication;
      await record({
        kind: 'administration',
        action: 'bundle-published',
        by,
        target,
        detail: { sequence },
      });
    }
    return publication;
  };
  /** Whoever did not apply hears of it, too: what is in force is no commit of the repository. */
  const tellPart = async (error: Error): Promise<never> => {
    const told = { kind: 'alarm', alarm: 'apply-incomplete', detail: error.message } as const;
    // The log may be what is stuck: who applied is told in any case.
    await record(told).catch(() => undefined);
    throw error;
  };
  let last: Promise<unknown> = Promise.resolve();
  /** One after the other: each starts from what the one before left. */
  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const done = last.then(work);
    last = done.catch(() => undefined);
    return done;
  };
  return {
    publish: (repository, by) => publish(repository, by),
    apply: (by, { started, again }) =>
      inTurn(async () => {
        const { repository, problems } = await check(await identity.writtenRegistrations());
        if (!repository) return problems;
        const faults = await options.faultsHere(repository);
        if (faults.length > 0) return faults;
        const publication = await publish(repository, by, again).catch(tellPart);
        return { ...publication, restart: needsRestart(started, repository.config) };
      }),
    register: (change, by) =>
      inTurn(async () => {
        const gone = new Set([...change.removes, ...change.puts.map(({ id }) => id)]);
        const kept = (await identity.writtenRegistrations()).filter(({ id }) => !gone.has(id));
        if (kept.length + change.puts.length > REGISTERED_MAX) return [tooMany(kept.length)];
        const checked = await check([...kept, ...change.puts]);
        const { repository: next } = checked;
        if (!next) return checked.problems;
        const current = options.current();
        const registrations = [
          ...current.registrations.filter(({ subject }) => !current.registered.has(subject.id)),
          ...next.registrations.filter(({ subject }) => next.registered.has(subject.id)),
        ];
        const { sequence } = await identity.applyRegistrations(registrations, current.entities, {
          by,
          written: change,
        });
        await options.take({ ...current, registrations, registered: next.registered });
        return { sequence };
      }),
  };
}

function tooMany(count: number): Problem {
  return {
    severity: 'error',
    file: 'request',
    found: `${count} registered identities that stay`,
    expected: `at most ${REGISTERED_MAX} with these`,
    mend: 'write some of them into identities/*.yaml',
  };
}
