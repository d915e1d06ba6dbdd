import type { Signal } from '@countersign/model';
import type { Database, FactLog } from '@countersign/state';
import type { Identity } from '../identity.ts';
import type { SignalActions } from './receive.ts';
import type { SignalTables } from './signal-tables.ts';

/** What signals from outside do to sessions and subjects of ours. */
export function signalActions(options: {
  readonly database: Database;
  readonly factLog: FactLog;
  readonly identity: Pick<
    Identity,
    'sessionsOf' | 'revoke' | 'reinstate' | 'ownRevocation' | 'devices' | 'login'
  >;
  readonly respond: (signal: Signal) => Promise<unknown>;
}): SignalActions {
  const { database, factLog, identity, respond } = options;
  const tables = () => database.tables<SignalTables>();
  /** Whether it is no older than what its source said before of the same subject; then it is noted. */
  const isNewest = async (
    subject: string,
    { by: source, issuedMs }: { readonly by: string; readonly issuedMs: number },
  ): Promise<boolean> => {
    const known = await tables()
      .selectFrom('signal_account')
      .select('issued_ms')
      .where('source', '=', source)
      .where('subject', '=', subject)
      .executeTakeFirst();
    if (known && known.issued_ms > Math.floor(issuedMs)) return false;
    const row = { source, subject, issued_ms: Math.floor(issuedMs) };
    await tables()
      .insertInto('signal_account')
      .values(row)
      .onConflict((conflict) => conflict.columns(['source', 'subject']).doUpdateSet(row))
      .execute();
    return true;
  };
  return {
    async endSessions({ subject, session, issuer, reason, by }) {
      // A transmitter names its own session, where ours stands on one there.
      const theirs =
        session === undefined || issuer === undefined
          ? []
          : ((await identity.login?.providers?.sessionsOf({ issuer, sid: session })) ?? []);
      const live = (await identity.sessionsOf(subject)).filter(
        (id) => session === undefined || id === session || theirs.includes(id),
      );
      for (const id of live) {
        const result = await identity.revoke({ target: 'session', value: id, reason, by });
        // It may have ended by itself meanwhile; anything else must not be acknowledged.
        if (!result.isGranted && result.code !== 'not-found') throw new Error(result.detail);
      }
      return live.length;
    },
    async disable(subject, { reason, by, issuedMs }) {
      if (!(await isNewest(subject, { by, issuedMs }))) return 'outdated';
      if (await identity.ownRevocation(subject)) return 'unchanged';
      // Before the deed: after a crash in between its source may still take back what it did.
      await tables()
        .insertInto('signal_disabled')
        .values({ source: by, subject })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      const result = await identity.revoke({ target: 'subject', value: subject, reason, by });
      if (!result.isGranted) throw new Error(`${result.code}: ${result.detail}`);
      return 'done';
    },
    async enable(subject, { by, issuedMs }) {
      if (!(await isNewest(subject, { by, issuedMs }))) return 'outdated';
      const row = await tables()
        .deleteFrom('signal_disabled')
        .where('source', '=', by)
        .where('subject', '=', subject)
        .returning('subject')
        .executeTakeFirst();
      const own = await identity.ownRevocation(subject);
      const source = by.slice(by.indexOf(':') + 1);
      // What somebody else revoked since then stays.
      if (row === undefined || !own?.reason.startsWith(`${source}: `)) return 'unchanged';
      const order = { target: 'subject', value: subject, by, behindCut: true } as const;
      const result = await identity.reinstate(order);
      if (result.isGranted) return 'done';
      return result.code === 'organisation-cut-off' ? 'cut-off' : 'unchanged';
    },
    noteCompliance: (about) => identity.devices.takeCompliance(about),
    respond: async (signal) => void (await respond(signal)),
    riskOf(subject) {
      const fact = factLog.get(`risk ${subject}`);
      return fact?.kind === 'risk' ? fact.level : undefined;
    },
  };
}
