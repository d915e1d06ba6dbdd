import { resolve } from 'node:path';
import type { CedarEngine } from '@countersign/cedar';
import type { Clock, Surface } from '@countersign/model';
import { readText } from '../document/read-text.ts';
import { createReport } from '../document/report.ts';
import { ACTION_GROUPS } from '../openapi/read-api-description.ts';
import type { BankConfig, Problem, Repository } from '../repository.ts';
import { attributeTypes } from '../schema/attribute-types.ts';
import { entityVocabulary } from '../schema/entity-vocabulary.ts';
import { composeSchema } from '../schema/generate-schema.ts';
import { checkAttributes } from './check-attributes.ts';
import { bundleEndpointConfigs, checkBundleEndpoints } from './check-bundle-endpoints.ts';
import { checkCa } from './check-ca.ts';
import { checkCustomers } from './check-customers.ts';
import { checkDetails } from './check-details.ts';
import { checkDevices } from './check-devices.ts';
import { checkEntities } from './check-entities.ts';
import { checkEntityTypes } from './check-entity-types.ts';
import { checkExports } from './check-exports.ts';
import { checkFederatedIds } from './check-federated-ids.ts';
import { checkFederation } from './check-federation.ts';
import { checkHierarchy } from './check-hierarchy.ts';
import { checkIdentities } from './check-identities.ts';
import { checkIssuerJoins, checkIssuers } from './check-issuers.ts';
import { checkClusters, checkPointJoins, createJoinChecker } from './check-joins.ts';
import { checkIssuerCertificate, checkPartnersTrust } from './check-listener-certificates.ts';
import { checkLogin } from './check-login.ts';
import { checkPartners } from './check-partners.ts';
import { checkPeople } from './check-people.ts';
import { checkPlaybooks } from './check-playbooks.ts';
import { checkPoints } from './check-points.ts';
import { readPolicies, SCHEMA_FILE, validatePolicies } from './check-policies.ts';
import { checkPrivateKeys } from './check-private-keys.ts';
import { checkRecord } from './check-record.ts';
import { checkRetention } from './check-retention.ts';
import { checkSignals, SIGNAL_SCOPES } from './check-signals.ts';
import { checkStorage } from './check-storage.ts';
import { checkSurfaces } from './check-surfaces.ts';
import { checkUpstreams } from './check-upstreams.ts';
import { checkWitnesses, witnessConfigs } from './check-witnesses.ts';
import { listRepository } from './list-repository.ts';
import {
  checkPolicyTests,
  checkTestedCustomers,
  type RunPolicyTest,
  readPolicyTests,
  runPolicyTests,
} from './policy-tests.ts';
import { readConfig, type WrittenConfig } from './read-config.ts';
import type { RegisteredIdentity } from './registered-identities.ts';
import type { CheckContext } from './repository-source.ts';

/** What a check needs of the outside. */
export interface CheckOptions {
  readonly engine: CedarEngine;
  readonly now: Clock;
  /** Decides the questions of `policies/tests`; without it they are read and not asked. */
  readonly runTest?: RunPolicyTest;
  /** Identities that stand in no file, checked as if they did; none if not said. */
  readonly registered?: readonly RegisteredIdentity[];
}

/**
 * Reads a bank's repository and tells all that is wrong with it at once.
 *
 * Never throws for what a bank wrote, however broken. Tests of policies are run only when there is no
 * other error.
 *
 * @param folder that holds `countersign.yaml`
 * @returns `repository` only when there is no error; warnings may stand beside it
 */
export async function checkRepository(
  folder: string,
  options: CheckOptions,
): Promise<{ readonly repository?: Repository; readonly problems: Problem[] }> {
  const report = createReport();
  const context: CheckContext = { folder: resolve(folder), report, now: options.now };
  const { engine, runTest, registered = [] } = options;

  const files = await listRepository(context.folder, report);
  const config = await readConfig(context);
  const { surfaces, ...known } = await checkSurfaces(files, context);
  checkUpstreams(surfaces, report);
  const points = await checkPoints(config, { surfaces, ...known }, context);
  const exports = checkExports(config, known.names, context);
  const ca = checkCa(config, context);
  const storage = checkStorage(config, context);
  const issuers = checkIssuers(config, context);
  const devices = checkDevices(config, context);
  checkMetrics(config, context);
  checkRetention(config, surfaces, report);
  // By name, so that the schema and with it the bundle's version do not depend on file names.
  const plain = surfaces
    .map(({ surface }) => surface)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));

  const clusters = checkClusters(config, context);
  const joins = createJoinChecker(context, { clusters: clusters.map(({ name }) => name) });
  const pointJoins = new Map([
    ...(await checkPointJoins(config, joins)),
    ...(await checkIssuerJoins(config, joins)),
  ]);
  const signalsAt = config.authority?.signals?.url;
  const identities = await checkIdentities(files.identities, {
    context,
    trustDomain: config.trustDomain,
    vocabulary: {
      scopes: new Set(
        plain
          .flatMap(({ operations }) => operations.flatMap(({ scopes }) => scopes))
          .concat(signalsAt === undefined ? [] : SIGNAL_SCOPES),
      ),
      audiences: new Set(
        plain.map(({ audience }) => audience).concat(signalsAt === undefined ? [] : [signalsAt]),
      ),
      isWhole: known.isWhole,
    },
    defaultTtlSeconds: config.authority?.accessTokenTtl ?? 300,
    organisations: await checkPartners(files.partners, context),
    ...{ joins, registered },
  });
  const errorsBefore = report.errorCount;
  const { trustDomain } = config;
  const federation = await checkFederation(files.federation, { context, trustDomain });
  const isFederationWhole = report.errorCount === errorsBefore;
  checkFederatedIds(identities, {
    ...{ trustDomain, report },
    partners: isFederationWhole ? federation : undefined,
  });
  checkBundleEndpoints(config, context);
  // With identities missing, every reader that is one of them would be blamed for it.
  const isWhole = !report.hasErrors;
  const registrations = isWhole ? identities.map(({ value }) => value) : undefined;
  const record = checkRecord(config, registrations, context);
  checkIssuerCertificate(config, context);
  if (registrations) checkPartnersTrust(config, registrations, context);
  const signals = checkSignals(config, registrations, context);
  const customers = checkCustomers(config, registrations, context);
  const login = await checkLogin(config, identities, context);
  const detailTypes = checkDetails(config, identities, context);
  const entities = await checkEntities(files.entities, context);
  checkHierarchy({ registrations: identities, entities }, report);
  const playbooks = await checkPlaybooks(files.playbooks, context);
  await checkPrivateKeys(context);

  const handWritten = files.hasSchema ? ((await readText(SCHEMA_FILE, context)) ?? '') : '';
  const schema = composeSchema(plain, handWritten, detailTypes);
  const { policies, ...read } = await readPolicies(files.policies, { context, engine });
  const tests = await readPolicyTests(files.tests, context);
  // With operations missing, every policy that names one would be blamed for it.
  const vocabulary = entityVocabulary(plain, handWritten);
  const types = attributeTypes(plain, handWritten);
  if (known.isWhole) {
    const written = { registrations: identities, entities };
    checkEntityTypes(written, vocabulary, report);
    checkAttributes(written, { vocabulary, types }, report);
    const ids = new Set(identities.map(({ value }) => value.subject.id));
    checkTestedCustomers(tests, { trustDomain, registered: ids, vocabulary, types }, context);
    const names = [...vocabulary.keys(), ...actionNames(plain)];
    await validatePolicies(policies, { context, engine, schema, handWritten, names });
    checkPolicyTests(tests, { surfaces: plain, ...(read.isWhole && { policies }) }, context);
  }

  const people = checkPeople(
    config,
    {
      surfaces: plain,
      handWritten,
      registrations: isWhole ? identities.map(({ value }) => value) : undefined,
    },
    context,
  );
  checkWitnesses(config, context);
  const settings = report.hasErrors ? undefined : authoritySettings(config, context.folder);
  const bank: BankConfig | undefined = settings &&
    ca && {
      trustDomain,
      authority: {
        ...{ ...settings, ca },
        ...present({
          exports,
          signals,
          customers,
          devices,
          login,
          detailTypes,
          people,
          storage,
          issuers,
        }),
        ...present({ kubernetes: clusters }),
      },
      ...{ points, record },
    };
  if (!bank) return { problems: report.problems() };
  const repository: Repository = {
    folder: context.folder,
    config: bank,
    surfaces: plain,
    policies: policies.map(({ id, text, file }) => ({ id, text, file })),
    schema: schema.text,
    entitySchema: { vocabulary, types },
    registrations: identities.map(({ value }) => value),
    registered: new Set(registered.map(({ id }) => `spiffe://${trustDomain}/${id}`)),
    entities: entities.map(({ value }) => value),
    playbooks,
    federation,
    pointJoins,
  };
  if (runTest) await runPolicyTests(tests, { repository, runTest, context });
  return { ...(!report.hasErrors && { repository }), problems: report.problems() };
}

/** Metrics are read without authentication: only by whoever is on the host. */
function checkMetrics({ document, authority }: WrittenConfig, { report }: CheckContext): void {
  const { host } = authority?.metrics ?? {};
  if (!document || host === undefined || /^(?:127\.\d+\.\d+\.\d+|::1|localhost)$/.test(host))
    return;
  report.error(document.at(['authority', 'metrics']), {
    found: `metrics on ${host}`,
    expected: 'a loopback address: they are served to whoever asks',
    mend: "write '127.0.0.1:9464', and let an agent on the host read them",
  });
}

/** `Accounts::Action::"GetAccount"`, as Cedar writes it. */
function actionNames(surfaces: readonly Surface[]): string[] {
  return surfaces.flatMap(({ namespace, operations }) =>
    [...ACTION_GROUPS, ...operations.map(({ id }) => id)].map(
      (id) => `${namespace}::Action::"${id}"`,
    ),
  );
}

/** Of the sections that a bank need not have those that it has. */
function present<T extends Readonly<Record<string, object | undefined>>>(
  sections: T,
): { readonly [K in keyof T]?: Exclude<T[K], undefined> } {
  const isThere = (section: object | undefined) =>
    section !== undefined && !(Array.isArray(section) && section.length === 0);
  const entries = Object.entries(sections).filter(([, section]) => isThere(section));
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

/** What is of the authority alone, in no section of its own; nothing when it could not be read. */
function authoritySettings({ authority }: WrittenConfig, folder: string) {
  if (!authority) return undefined;
  const { passphraseFile, historyFile, metrics, issuerCertificateFile, issuerKeyFile } = authority;
  return {
    control: authority.control,
    issuer: authority.issuer,
    issuerUrl: authority.issuerUrl,
    ...(issuerCertificateFile !== undefined &&
      issuerKeyFile !== undefined && {
        issuerCertificate: {
          certificateFile: resolve(folder, issuerCertificateFile),
          keyFile: resolve(folder, issuerKeyFile),
        },
      }),
    svidTtlSeconds: authority.svidTtl,
    accessTokenTtlSeconds: authority.accessTokenTtl,
    // Secrets and history live outside what is reviewed, so these two may be anywhere.
    ...(passphraseFile !== undefined && { passphraseFile: resolve(folder, passphraseFile) }),
    ...(historyFile !== undefined && { historyFile: resolve(folder, historyFile) }),
    ...witnessConfigs(authority),
    ...(metrics !== undefined && { metrics }),
    ...bundleEndpointConfigs(authority, folder),
  };
}
