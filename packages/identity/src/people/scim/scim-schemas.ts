/** An attribute as RFC 7643 §7 describes one. */
export interface ScimAttribute {
  readonly name: string;
  readonly type: 'string' | 'boolean' | 'dateTime' | 'reference' | 'complex';
  readonly multiValued: boolean;
  readonly description: string;
  readonly required: boolean;
  readonly caseExact: boolean;
  readonly mutability: 'readOnly' | 'readWrite' | 'writeOnly';
  readonly returned: 'always' | 'default' | 'never';
  readonly uniqueness: 'none' | 'server';
  readonly subAttributes?: readonly ScimAttribute[];
}

/** RFC 7643 §7. */
export interface ScimSchema {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly attributes: readonly ScimAttribute[];
}

/** What is kept under `/Users` or `/Groups`: a core schema and its extensions. */
export interface ResourceType {
  readonly name: 'User' | 'Group';
  readonly endpoint: '/Users' | '/Groups';
  readonly core: ScimSchema;
  readonly extensions: readonly ScimSchema[];
}

export const USER_SCHEMA = 'urn:ietf:params:scim:schemas:core:2.0:User';
export const GROUP_SCHEMA = 'urn:ietf:params:scim:schemas:core:2.0:Group';
export const ENTERPRISE_SCHEMA = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';

type Details = Partial<Omit<ScimAttribute, 'name' | 'description'>>;

function attribute(name: string, description: string, more: Details = {}): ScimAttribute {
  return {
    name,
    type: more.subAttributes ? 'complex' : 'string',
    multiValued: false,
    description,
    required: false,
    caseExact: false,
    mutability: 'readWrite',
    returned: 'default',
    uniqueness: 'none',
    ...more,
  };
}

/** RFC 7643 §2.4: the sub-attributes that multi-valued attributes have in common. */
function plural(name: string, description: string, more: Details = {}): ScimAttribute {
  return attribute(name, description, {
    multiValued: true,
    subAttributes: [
      attribute('value', 'The value'),
      attribute('display', 'A name for people'),
      attribute('type', 'What it is used for, such as work or home'),
      attribute('primary', 'Whether it is the preferred one', { type: 'boolean' }),
    ],
    ...more,
  });
}

const readOnly = { mutability: 'readOnly' } as const;

/** RFC 7643 §3.1: of every resource, in no schema. */
export const COMMON_ATTRIBUTES: readonly ScimAttribute[] = [
  attribute('id', 'Given by this server, never again to another', {
    ...readOnly,
    caseExact: true,
    returned: 'always',
    uniqueness: 'server',
  }),
  attribute('externalId', "The client's own name of it", { caseExact: true }),
  attribute('schemas', 'Schemas that the resource uses', {
    ...readOnly,
    type: 'reference',
    multiValued: true,
    returned: 'always',
  }),
  attribute('meta', 'About the resource', {
    ...readOnly,
    subAttributes: [
      attribute('resourceType', 'User or Group', { ...readOnly, caseExact: true }),
      attribute('created', 'When it was made', { ...readOnly, type: 'dateTime' }),
      attribute('lastModified', 'When it was last changed', { ...readOnly, type: 'dateTime' }),
      attribute('location', 'Its URI', { ...readOnly, type: 'reference', caseExact: true }),
      attribute('version', 'Its ETag', { ...readOnly, caseExact: true }),
    ],
  }),
];

/** RFC 7643 §4.1; without `x509Certificates`, which would name keys that nobody here looks at. */
const user: ScimSchema = {
  id: USER_SCHEMA,
  name: 'User',
  description: 'A person',
  attributes: [
    attribute('userName', 'By which the person logs in; unique whatever its case', {
      required: true,
      uniqueness: 'server',
    }),
    attribute('name', 'The parts of the name', {
      subAttributes: [
        ...['formatted', 'familyName', 'givenName', 'middleName'],
        ...['honorificPrefix', 'honorificSuffix'],
      ].map((part) => attribute(part, `RFC 7643 §4.1.1, ${part}`)),
    }),
    ...[
      'displayName',
      'nickName',
      'title',
      'userType',
      'preferredLanguage',
      'locale',
      'timezone',
    ].map((name) => attribute(name, `RFC 7643 §4.1.1, ${name}`)),
    attribute('profileUrl', 'A page about the person', { type: 'reference', caseExact: true }),
    attribute('active', 'Whether the person may do anything; false is what a leaver becomes', {
      type: 'boolean',
    }),
    attribute('password', 'Taken from nobody: it is read over and kept nowhere', {
      caseExact: true,
      mutability: 'writeOnly',
      returned: 'never',
    }),
    plural('emails', 'Addresses of mail'),
    plural('phoneNumbers', 'Numbers of telephones'),
    plural('ims', 'Addresses for messages'),
    plural('photos', 'Pictures'),
    plural('addresses', 'Postal addresses', {
      subAttributes: [
        ...[
          'formatted',
          'streetAddress',
          'locality',
          'region',
          'postalCode',
          'country',
          'type',
        ].map((name) => attribute(name, `RFC 7643 §4.1.2, addresses.${name}`)),
        attribute('primary', 'Whether it is the preferred one', { type: 'boolean' }),
      ],
    }),
    plural('entitlements', 'Rights, as the client calls them'),
    plural('roles', 'Roles, as the client calls them'),
    attribute('groups', 'Groups that the person is a member of', {
      ...readOnly,
      multiValued: true,
      subAttributes: [
        attribute('value', 'id of the group', { ...readOnly, caseExact: true }),
        attribute('$ref', 'URI of the group', { ...readOnly, type: 'reference', caseExact: true }),
        attribute('display', 'displayName of the group', readOnly),
        attribute('type', 'direct or indirect', readOnly),
      ],
    }),
  ],
};

/** RFC 7643 §4.3. */
const enterprise: ScimSchema = {
  id: ENTERPRISE_SCHEMA,
  name: 'EnterpriseUser',
  description: 'A person as an employee',
  attributes: [
    ...['employeeNumber', 'costCenter', 'organization', 'division', 'department'].map((name) =>
      attribute(name, `RFC 7643 §4.3, ${name}`),
    ),
    attribute('manager', 'The person whom this one reports to', {
      subAttributes: [
        attribute('value', 'id of the manager', { caseExact: true }),
        attribute('$ref', 'URI of the manager', { type: 'reference', caseExact: true }),
        attribute('displayName', "the manager's displayName", readOnly),
      ],
    }),
  ],
};

/** RFC 7643 §4.2. */
const group: ScimSchema = {
  id: GROUP_SCHEMA,
  name: 'Group',
  description: 'A group of persons, and of groups',
  attributes: [
    attribute('displayName', 'Its name; unique among the groups of a client', { required: true }),
    attribute('members', 'Who is in it', {
      multiValued: true,
      subAttributes: [
        attribute('value', 'id of the member', { caseExact: true }),
        attribute('$ref', 'URI of the member', { type: 'reference', caseExact: true }),
        attribute('display', 'A name for people', readOnly),
        attribute('type', 'User or Group'),
      ],
    }),
  ],
};

export const USER: ResourceType = {
  name: 'User',
  endpoint: '/Users',
  core: user,
  extensions: [enterprise],
};
export const GROUP: ResourceType = {
  name: 'Group',
  endpoint: '/Groups',
  core: group,
  extensions: [],
};
/** All of them, as `/ResourceTypes` lists them. */
export const RESOURCE_TYPES: readonly ResourceType[] = [USER, GROUP];
