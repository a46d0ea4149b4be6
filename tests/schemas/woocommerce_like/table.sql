-- A shop that moved from WooCommerce to Shopify and kept the names of its old table of orders.
CREATE TABLE orders (
  order_id bigint unsigned NOT NULL,
  order_number int unsigned NOT NULL,
  order_status varchar(20) NOT NULL,
  order_currency varchar(10) NOT NULL,
  date_created datetime NOT NULL,
  date_paid datetime DEFAULT NULL,
  date_completed datetime DEFAULT NULL,
  billing_email varchar(320) DEFAULT NULL,
  billing_country char(2) DEFAULT NULL,
  discount_total decimal(26,8) NOT NULL,
  shipping_total decimal(26,8) NOT NULL,
  tax_total decimal(26,8) NOT NULL,
  order_total decimal(26,8) NOT NULL,
  refunded_total decimal(26,8) NOT NULL,
  payment_method_title text DEFAULT NULL,
  line_items longtext DEFAULT NULL,
  PRIMARY KEY (order_id)
);
