-- A script that stores the answers of Shopify's GraphQL API, one column for each field, in JSON where the field is an object.
CREATE TABLE orders (
  id varchar(64) NOT NULL,
  name varchar(32) NOT NULL,
  email varchar(255) DEFAULT NULL,
  `createdAt` datetime NOT NULL,
  `processedAt` datetime NOT NULL,
  `updatedAt` datetime NOT NULL,
  `cancelledAt` datetime DEFAULT NULL,
  `currencyCode` char(3) NOT NULL,
  `displayFinancialStatus` varchar(32) DEFAULT NULL,
  `displayFulfillmentStatus` varchar(32) DEFAULT NULL,
  `taxesIncluded` tinyint(1) NOT NULL,
  test tinyint(1) NOT NULL,
  `subtotalPriceSet` json NOT NULL,
  `totalDiscountsSet` json NOT NULL,
  `totalShippingPriceSet` json NOT NULL,
  `totalTaxSet` json NOT NULL,
  `totalPriceSet` json NOT NULL,
  `lineItems` json NOT NULL,
  `refunds` json NOT NULL,
  PRIMARY KEY (id)
);
