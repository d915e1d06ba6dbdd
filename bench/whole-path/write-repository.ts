import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What the bank's repository says of addresses and of the partner. */
export interface RepositoryOptions {
  readonly ports: {
    readonly control: number;
    readonly issuer: number;
    readonly enforced: number;
    readonly watched: number;
  };
  readonly upstreamPort: number;
  readonly partnerAuthorityFile: string;
  readonly partnerCertificateFile: string;
}

/** The one audience of both surfaces, so that one token does for both. */
export const AUDIENCE = 'https://api.bank.example/accounts';
/** The target that every arrangement is asked for. */
export const TARGET = '/accounts-api/accounts/22289';

/**
 * Writes a small bank: one gateway, one API of one operation, once enforced and once in shadow, one
 * partner with some accounts, and three policies that look at scopes, risk, attributes and the caller.
 */
export function writeRepository(folder: string, options: RepositoryOptions): void {
  const files: Record<string, string> = {
    'countersign.yaml': config(options.ports),
    'surfaces/accounts.openapi.yaml': OPENAPI,
    'surfaces/accounts.yaml': surface('accounts', 'enforce', options.upstreamPort),
    'surfaces/watched.openapi.yaml': OPENAPI,
    'surfaces/watched.yaml': surface('watched', 'shadow', options.upstreamPort),
    'policies/schema.cedarschema': SCHEMA,
    'policies/accounts.cedar': POLICIES,
    'identities/partners.yaml': IDENTITIES,
    'entities/accounts.yaml': ENTITIES,
  };
  for (const [name, content] of Object.entries(files)) {
    const file = join(folder, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
  mkdirSync(join(folder, 'trust'), { recursive: true });
  cpSync(options.partnerAuthorityFile, join(folder, 'trust', 'partner-ca.pem'));
  cpSync(options.partnerCertificateFile, join(folder, 'trust', 'ledgerly.pem'));
}

function config(ports: RepositoryOptions['ports']): string {
  const listener = (name: string, port: number, surfaceName: string) =>
    `      - name: ${name}
        address: 127.0.0.1:${port}
        clientAuthorities: [trust/partner-ca.pem]
        routes: [{ surface: ${surfaceName} }]`;
  return `trustDomain: bank.example
authority:
  control: 127.0.0.1:${ports.control}
  issuer: 127.0.0.1:${ports.issuer}
  issuerUrl: https://localhost:${ports.issuer}
  svidTtl: 1h
  accessTokenTtl: 5m
points:
  edge:
    kind: gateway
    listeners:
${listener('partners', ports.enforced, 'accounts')}
${listener('watched', ports.watched, 'watched')}
`;
}

function surface(name: string, mode: string, upstreamPort: number): string {
  return `name: ${name}
title: Accounts API
owner: retail-accounts@bank.example
criticality: high
openapi: ${name}.openapi.yaml
basePath: /accounts-api
mode: ${mode}
upstream: { http: '127.0.0.1:${upstreamPort}' }
audience: ${AUDIENCE}
factsMaxAge: 60s
`;
}

const OPENAPI = `openapi: 3.1.0
info: { title: Accounts API, version: 1.0.0 }
security: [{ partner: [accounts] }]
paths:
  /accounts/{AccountId}:
    get:
      operationId: GetAccount
      parameters:
        - { name: AccountId, in: path, required: true, schema: { type: string } }
      responses:
        '200': { description: The account. }
components:
  securitySchemes:
    partner:
      type: oauth2
      flows:
        clientCredentials:
          tokenUrl: https://localhost/token
          scopes: { accounts: Read accounts }
`;

const SCHEMA = `entity Partner in [Group, Role] = { "accounts"?: Set<Accounts::Account> };
namespace Accounts {
  entity Account in [Surface] = { "holder"?: String, "currency"?: String, "status"?: String };
}
`;

const POLICIES = `@id("nobody-at-high-risk")
forbid (principal, action, resource) when { context.risk == "HIGH" };

@id("partner-reads-own-accounts")
permit (principal is Partner, action == Accounts::Action::"GetAccount", resource is Accounts::Account)
when {
  context.scopes.contains("accounts") &&
  principal has accounts && principal.accounts.contains(resource)
} unless {
  context has caller && context.caller != Workload::"spiffe://bank.example/workload/countersign/edge"
};

@id("watched-reads")
permit (principal is Partner, action == Watched::Action::"GetAccount", resource is Watched::Account)
when { context.scopes.contains("accounts") };
`;

const IDENTITIES = `- id: partner/ledgerly
  owner: open-banking@bank.example
  certificates: [trust/ledgerly.pem]
  attributes:
    accounts:
      - { __entity: { type: 'Accounts::Account', id: '22289' } }
      - { __entity: { type: 'Accounts::Account', id: '22296' } }
      - { __entity: { type: 'Accounts::Account', id: '22303' } }
  client:
    id: ledgerly
    authentication: tls_client_auth
    scopes: [accounts]
    audiences: [${AUDIENCE}]
`;

const ENTITIES = `- uid: { type: 'Accounts::Account', id: '22289' }
  attributes: { holder: customer-1842, currency: GBP, status: OPEN }
  parents: []
- uid: { type: 'Accounts::Account', id: '22303' }
  attributes: { holder: customer-1844, currency: GBP, status: FROZEN }
  parents: []
`;
