import type { Federation, Identity, Keyring } from '@countersign/identity';
import type { Clock, Playbook } from '@countersign/model';
import type { BankConfig, Problem, Repository } from '@countersign/policy';
import type { BundleStore } from '@countersign/state';
import { needsRestart } from './needs-restart.ts';
import type { Applied } from './operator-routes.ts';
import { pointRegistrations } from './point-registrations.ts';
import { type Publication, publishBundle } from './publish-bundle.ts';
import type { Recorder } from './record/own-record.ts';

/** Puts what a bank wrote into force. */
export interface Publisher {
  /** Registrations first, so that no bundle talks of subjects that nobody knows. */
  publish(repository: Repository, by: string): Promise<Publication>;
  /**
   * Checks the repository anew and publishes it; with errors, tells them and changes nothing. `started` is
   * the configuration that the running processes were started with; `again` publishes what is in force already, too.
   */
  apply(
    by: string,
    options: { readonly started: BankConfig; readonly again: boolean },
  ): Promise<Applied | readonly Problem[]>;
}

/** What publishing needs. */
export interface PublisherOptions {
  readonly check: () => Promise<{
    readonly repository?: Repository;
    readonly problems: readonly Problem[];
  }>;
  readonly identity: Identity;
  readonly federation: Federation;
  readonly bundles: BundleStore;
  readonly keyring: Keyring;
  readonly record: Recorder;
  readonly setPlaybooks: (playbooks: readonly Playbook[]) => void;
  readonly now: Clock;
}

/** Makes a publisher; one publication at a time. */
export function createPublisher(options: PublisherOptions): Publisher {
  const { check, identity, federation, bundles, keyring, record, now } = options;
  const publish = async (
    repository: Repository,
    by: string,
    again = false,
  ): Promise<Publication> => {
    await identity.registerPoints(pointRegistrations(repository));
    // Those who are gone go before anybody else comes.
    await federation.apply(repository.federation, { by });
    await identity.applyRegistrations(repository.registrations, repository.entities, { by });
    const signer = keyring.policy;
    const publication = await publishBundle(repository, { bundles, signer, now, again });
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
  let last: Promise<unknown> = Promise.resolve();
  return {
    publish: (repository, by) => publish(repository, by),
    apply(by, { started, again }) {
      const applied = last.then(async () => {
        const { repository, problems } = await check();
        if (!repository) return problems;
        const publication = await publish(repository, by, again);
        return { ...publication, restart: needsRestart(started, repository.config) };
      });
      last = applied.catch(() => undefined);
      return applied;
    },
  };
}
