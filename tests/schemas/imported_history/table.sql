-- A shop that imported the orders of its former shop system into Shopify, and copies REST orders into MySQL.
CREATE TABLE orders (
  id bigint unsigned NOT NULL,
  name varchar(32) NOT NULL,
  created_at datetime NOT NULL,
  processed_at datetime DEFAULT NULL,
  updated_at datetime NOT NULL,
  currency char(3) NOT NULL,
  financial_status varchar(32) DEFAULT NULL,
  cancelled_at datetime DEFAULT NULL,
  test tinyint(1) NOT NULL,
  taxes_included tinyint(1) NOT NULL,
  subtotal_price decimal(10,2) NOT NULL,
  total_discounts decimal(10,2) NOT NULL,
  total_tax decimal(10,2) NOT NULL,
  total_price decimal(10,2) NOT NULL,
  customer_id bigint unsigned DEFAULT NULL,
  line_items json DEFAULT NULL,
  shipping_lines json DEFAULT NULL,
  tax_lines json DEFAULT NULL,
  refunds json DEFAULT NULL,
  PRIMARY KEY (id)
);
