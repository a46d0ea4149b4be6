-- A script that copies orders of Shopify's REST API, run through several versions of the API.
CREATE TABLE orders (
  id bigint unsigned NOT NULL,
  name varchar(32) NOT NULL,
  email varchar(255) DEFAULT NULL,
  created_at datetime NOT NULL,
  processed_at datetime NOT NULL,
  cancelled_at datetime DEFAULT NULL,
  currency char(3) NOT NULL,
  financial_status varchar(32) NOT NULL,
  test tinyint(1) NOT NULL,
  taxes_included tinyint(1) NOT NULL,
  subtotal_price decimal(12,2) NOT NULL,
  total_discounts decimal(12,2) NOT NULL,
  total_tax decimal(12,2) NOT NULL,
  total_price decimal(12,2) NOT NULL,
  total_shipping_price_set json NOT NULL,
  line_items json NOT NULL,
  shipping_lines json NOT NULL,
  refunds json NOT NULL,
  PRIMARY KEY (id)
);
