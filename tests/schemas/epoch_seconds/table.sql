-- A shop whose own PHP import keeps every time as Unix seconds in integer columns.
CREATE TABLE orders (
  id bigint(20) unsigned NOT NULL,
  name varchar(20) NOT NULL,
  customer_id int(10) unsigned DEFAULT NULL,
  currency char(3) NOT NULL,
  financial_status varchar(30) NOT NULL,
  subtotal_price decimal(10,2) NOT NULL,
  total_discounts decimal(10,2) NOT NULL,
  total_shipping decimal(10,2) NOT NULL,
  total_tax decimal(10,2) NOT NULL,
  total_price decimal(10,2) NOT NULL,
  total_refunded decimal(10,2) NOT NULL,
  created_at int(10) unsigned NOT NULL,
  updated_at int(10) unsigned NOT NULL,
  fulfilled_at int(10) unsigned DEFAULT NULL,
  cancelled_at int(10) unsigned DEFAULT NULL,
  PRIMARY KEY (id)
) DEFAULT CHARSET=utf8mb4;
