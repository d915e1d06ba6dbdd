import type { Signal } from '@countersign/model';
import type { Database, FactLog } from '@countersign/state';
import type { Identity } from '../open-identity.ts';
import type { SignalActions } from './receive.ts';
import type { SignalTables } from './signal-tables.ts';

/** What signals from outside do to sessions and subjects of ours. */
export function signalActions(options: {
  readonly database: Database;
  readonly factLog: FactLog;
  readonly identity: Pick<Identity, 'sessions' | 'revoke' | 'reinstate' | 'isRevoked' | 'devices'>;
  readonly respond: (signal: Signal) => Promise<unknown>;
}): SignalActions {
  const { database, factLog, identity, respond } = options;
  const tables = () => database.tables<SignalTables>();
  return {
    async endSessions({ subject, session, reason, by }) {
      const live = (await identity.sessions()).filter(
        (each) =>
          each.subject === subject &&
          each.revokedAtMs === undefined &&
          (session === undefined || each.id === session),
      );
      for (const { id } of live) {
        const result = await identity.revoke({ target: 'session', value: id, reason, by });
        // It may have ended by itself meanwhile; anything else must not be acknowledged.
        if (!result.isGranted && result.code !== 'not-found') throw new Error(result.detail);
      }
      return live.length;
    },
    async disable(subject, { reason, by }) {
      if (identity.isRevoked('subject', subject)) return false;
      // Before the deed: after a crash in between its source may still take back what it did.
      await tables()
        .insertInto('signal_disabled')
        .values({ source: by, subject })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      const result = await identity.revoke({ target: 'subject', value: subject, reason, by });
      if (!result.isGranted) throw new Error(`${result.code}: ${result.detail}`);
      return true;
    },
    async enable(subject, { by }) {
      const row = await tables()
        .deleteFrom('signal_disabled')
        .where('source', '=', by)
        .where('subject', '=', subject)
        .returning('subject')
        .executeTakeFirst();
      const fact = factLog.get(`revocation subject ${subject}`);
      const source = by.slice(by.indexOf(':') + 1);
      // What somebody else revoked since then stays.
      const isItsOwn = fact?.kind === 'revocation' && fact.reason.startsWith(`${source}: `);
      if (row === undefined || !isItsOwn) return false;
      const result = await identity.reinstate({ target: 'subject', value: subject, by });
      return result.isGranted;
    },
    noteCompliance: (about) => identity.devices.takeCompliance(about),
    respond: async (signal) => void (await respond(signal)),
    riskOf(subject) {
      const fact = factLog.get(`risk ${subject}`);
      return fact?.kind === 'risk' ? fact.level : undefined;
    },
  };
}
