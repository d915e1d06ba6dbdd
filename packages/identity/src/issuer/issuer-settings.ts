import { type Database, type Migration, migrate } from '@countersign/state';

/** By which issuers beside the authority hear of others. */
const TOPIC = 'identity/issuer-settings';

interface Tables {
  issuer_settings: { id: number; body: string };
}

const migrations: readonly Migration[] = [
  {
    name: '0001-issuer-settings',
    statements: [
      'create table issuer_settings (id integer primary key check (id = 1), body text not null) strict',
    ],
  },
];

/** What the authority's configuration says to issuers beside it, which have no copy of it; as text of whoever composes both. */
export interface IssuerSettings {
  /** Nothing before the authority wrote any. */
  current(): string | undefined;
  /** Writes others, if they are others. */
  put(body: string): Promise<void>;
}

/** @param options `onChange` is called when another process wrote others */
export async function openIssuerSettings(
  database: Database,
  { onChange = () => undefined }: { readonly onChange?: () => void } = {},
): Promise<IssuerSettings> {
  await migrate(database, { room: 'identity/issuer-settings', migrations });
  let current: string | undefined;
  await database.follow(TOPIC, async (transaction) => {
    const row = await transaction
      .tables<Tables>()
      .selectFrom('issuer_settings')
      .select('body')
      .executeTakeFirst();
    const before = current;
    current = row?.body;
    if (before !== undefined && before !== current) onChange();
  });
  return {
    current: () => current,
    put: (body) =>
      database.exclusive(TOPIC, async () => {
        if (body === current) return;
        await database.transaction(async (transaction) => {
          await transaction
            .tables<Tables>()
            .insertInto('issuer_settings')
            .values({ id: 1, body })
            .onConflict((conflict) => conflict.column('id').doUpdateSet({ body }))
            .execute();
          await transaction.touch(TOPIC);
        });
        current = body;
      }),
  };
}
